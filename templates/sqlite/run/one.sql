{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }} as here
where {{ cols_row }} = {{ tops }}
  and {{ copy.meant }}
{%- else -%}
update {{ table }}
set {{ sets }}
where {{ cols_row }} = {{ tops }}
  and {{ unfilled }}
{%- endif %}
