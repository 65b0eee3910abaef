update {{ table }}
set {% for set in sets %}{{ set }}{% if not loop.last %},
    {% endif %}{% endfor %}
where {{ empty }}
  and {% if several %}({{ filled }}){% else %}{{ filled }}{% endif %};
