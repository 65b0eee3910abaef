{%- for check in checks %}
  alter table {{ table }} drop constraint if exists {{ check.name }};
{%- endfor %}
  alter table {{ table }} alter column {{ column }} type {{ type }};
{%- for check in checks %}
  alter table {{ table }} add constraint {{ check.name }} check ({{ check.condition }}) not valid;
{%- endfor %}
