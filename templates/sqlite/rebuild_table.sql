{{ create }}
insert into {{ interim }} ({{ columns }})
select {{ values }}
from {{ table }};
{%- if counts %}
delete from sqlite_sequence where name = {{ interim_literal }};  -- it counts on where the old table stopped
insert into sqlite_sequence (name, seq) select {{ interim_literal }}, seq from sqlite_sequence where name = {{ table_literal }};
{%- endif %}
drop table {{ table }};
pragma legacy_alter_table = on;  -- who mentions the table by its name shall mention this one now, unchanged
alter table {{ interim }} rename to {{ table }};
pragma legacy_alter_table = off;
{%- for index in indexes %}
{{ index }};
{%- endfor %}
{%- for trigger in triggers %}
{% include "sqlite/trigger" %}
{%- endfor %}
