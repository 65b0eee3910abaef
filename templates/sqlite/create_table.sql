create table {{ name }} (
{%- for line in lines %}
  {{ line }}{% if not loop.last %},{% endif %}
{%- endfor %}
);
{%- for index in indexes %}
{{ index }};
{%- endfor %}
