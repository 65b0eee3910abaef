select cast(count(*) as char) from {{ table }}
where {% if above %}{{ above }} and {% endif %}{{ up_to }}{% if unfilled %}
  and {{ unfilled }}{% elif copy.meant %}
  and ({{ copy.meant }}){% endif %}
for update nowait
