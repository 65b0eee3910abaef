{%- for trigger in triggers %}
{% include "sqlite/trigger" %}
{%- endfor %}
