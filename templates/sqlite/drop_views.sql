{%- for view in views %}
drop view if exists {{ view }};
{%- endfor %}
