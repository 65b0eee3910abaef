select {{ key }}, {{ shown }}
from {{ table }}
where {{ condition }}
limit 5
