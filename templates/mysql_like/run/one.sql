{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }}
where {{ is }}{% if copy.meant %}
  and ({{ copy.meant }}){% endif %}
for share
{%- else -%}
update {{ table }}
set {{ sets }}
where {{ is }}
  and {{ unfilled }}
{%- endif %}
