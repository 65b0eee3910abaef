{%- if copy -%}
insert into {{ copy.target }} ({{ copy.columns }})
select {{ copy.values }}
from {{ table }} as here
where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}
  and {{ copy.meant }}
{%- else -%}
update {{ table }}
set {{ sets }}
where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}
  and {{ unfilled }}
{%- endif %}
