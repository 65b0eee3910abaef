{%- for trigger in triggers %}
{% include "sqlite/trigger" %}
{%- endfor %}
{%- if counts %}
-- Both tables count: each number is taken in both, so that none is given twice.
{% include "sqlite/count_on" %}
{%- endif %}
