select {{ texts }}
from (select {{ cols }} from {{ table }} tablesample system ({{ percent }}::real)
      where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}
      order by {{ cols }} limit 20000) as keys
order by {{ cols }}
