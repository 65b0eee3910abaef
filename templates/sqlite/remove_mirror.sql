{%- for trigger in triggers %}
drop trigger if exists {{ trigger }};
{%- endfor %}
{%- if counts %}
{% include "sqlite/count_on" %}
{%- endif %}
