select {{ key }}, {{ shown }}
from {{ table }}
where {% if span %}{{ span }} and {% endif %}({{ condition }})
limit 5
