drop view if exists {{ view }};
{%- if marker_view %}
drop view if exists {{ marker_view }};
{%- endif %}
