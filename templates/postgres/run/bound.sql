select {{ texts }} from {{ table }}
where {% if above %}{{ above }} and {% endif %}{{ up_to }}
order by {{ cols }} limit 1 offset {{ offset }}::bigint
