{%- for default in defaults %}
alter table {{ table }} alter column {{ default.column }} {% if default.value %}set default {{ default.value }}{% else %}drop default{% endif %};
{%- endfor %}
{%- for column in view_columns %}
alter view {{ view }} alter column {{ column }} drop default;
{%- endfor %}
