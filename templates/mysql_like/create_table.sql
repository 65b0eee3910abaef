create table if not exists {{ name }} (
{%- for line in lines %}
  {{ line }}{% if not loop.last %},{% endif %}
{%- endfor %}
) engine = InnoDB{% if comment %} comment = {{ comment }}{% endif %};
