comment on {{ target }} is {{ comment or "null" }};
