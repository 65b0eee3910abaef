{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }}
where {{ cols_row }} = {{ tops }}{% if copy.meant %}
  and ({{ copy.meant }}){% endif %}
for share
on conflict ({{ copy.key }}) do nothing
{%- else -%}
update {{ table }}
set {{ sets }}
where {{ cols_row }} = {{ tops }}
  and {{ unfilled }}
{%- endif %}
