select (count(*) over ())::text, {{ texts }}
from (select {{ cols }} from {{ table }}
      where {% if above %}{{ above }} and {% endif %}{{ up_to }}
      order by {{ cols }} limit {{ limit }}::bigint) as keys
order by {{ cols_desc }} limit 1
