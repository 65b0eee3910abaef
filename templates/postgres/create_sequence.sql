create sequence if not exists {{ name }}{{ options }};
{%- if comment %}
comment on sequence {{ name }} is {{ comment }};
{%- endif %}
