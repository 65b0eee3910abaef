{% for change in changes -%}
alter table {{ table }} {{ change }};
{%- if not loop.last %}
{% endif %}
{%- endfor %}
