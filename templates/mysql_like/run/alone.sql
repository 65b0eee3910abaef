select cast(count(*) as char) from {{ table }} where {{ is }} for update{% if not locks %} wait 1{% endif %}
