{%- for trigger in triggers %}
drop trigger if exists {{ trigger }};
{%- endfor %}
