{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }}
where {{ is }}{% if copy.meant %}
  and ({{ copy.meant }}){% endif %}
lock in share mode
on duplicate key update {{ copy.target }}.{{ first }} = {{ copy.target }}.{{ first }}
{%- else -%}
update {{ table }}
set {{ sets }}
where {{ is }}
  and {{ unfilled }}
{%- endif %}
