{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }} as here
where {% if above %}{{ above }} and {% endif %}{{ up_to }}
  and {{ copy.meant }}
{%- else -%}
update {{ table }}
set {{ sets }}
where {% if above %}{{ above }} and {% endif %}{{ up_to }}
  and {{ unfilled }}
{%- endif %}
