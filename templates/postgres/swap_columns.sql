{%- if drops %}
alter table {{ table }}
{%- for column in drops %}
  drop column {{ column }}{% if loop.last %};{% else %},{% endif %}
{%- endfor %}
{%- endif %}
{%- for rename in renames %}
alter table {{ table }} rename column {{ rename.from }} to {{ rename.to }};
{%- endfor %}
