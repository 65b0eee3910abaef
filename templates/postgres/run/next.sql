select (count(*) over ())::text, {{ texts }}
from (select {{ cols }} from {{ table }}
      where {% if lows %}{{ cols_row }} > {{ lows }} and {% endif %}{{ cols_row }} <= {{ tops }}
      order by {{ cols }} limit {{ limit }}::bigint) as keys
order by {{ cols_desc }} limit 1
