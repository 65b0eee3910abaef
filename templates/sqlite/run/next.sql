select count(*) over (), {{ texts }}
from (select {{ cols }} from {{ table }}
      where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}
      order by {{ cols }} limit cast({{ limit }} as integer)) as keys
order by {{ cols_desc }} limit 1
