select {{ texts }}
from (select {{ cols }} from {{ table }} tablesample system ({{ percent }}::real)
      where {% if above %}{{ above }} and {% endif %}{{ up_to }}
      order by {{ cols }} limit 20000) as keys
order by {{ cols }}
