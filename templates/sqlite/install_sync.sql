{%- if hidden %}
-- In a statement on this table a bare new.x would be the table's own; (select new.x) is the written row's.
{%- endif %}
{%- for trigger in triggers %}
{% include "sqlite/trigger" %}
{%- endfor %}
