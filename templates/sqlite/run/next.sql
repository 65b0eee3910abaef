select count(*) over (), {{ texts }}
from (select {{ cols }} from {{ table }}
      where {% if above %}{{ above }} and {% endif %}{{ up_to }}
      order by {{ cols }} limit cast({{ limit }} as integer)) as keys
order by {{ cols_desc }} limit 1
