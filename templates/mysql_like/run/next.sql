select cast(count(*) over () as char), {{ texts }}
from (select {{ cols }} from {{ table }}
      where {% if above %}{{ above }} and {% endif %}{{ up_to }}
      order by {{ cols }} limit {{ limit }}) as next_keys
order by {{ cols_desc }} limit 1
