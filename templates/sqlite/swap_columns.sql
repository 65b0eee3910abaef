{%- for column in drops %}
alter table {{ table }} drop column {{ column }};
{%- endfor %}
{%- for rename in renames %}
alter table {{ table }} rename column {{ rename.from }} to {{ rename.to }};
{%- endfor %}
