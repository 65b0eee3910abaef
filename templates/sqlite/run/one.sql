{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }} as here
where {{ is }}
  and {{ copy.meant }}
{%- else -%}
update {{ table }}
set {{ sets }}
where {{ is }}
  and {{ unfilled }}
{%- endif %}
