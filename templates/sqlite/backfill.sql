update {{ table }}
set {% for set in sets %}{{ set }}{% if not loop.last %},
    {% endif %}{% endfor %}
where {{ unfilled }};
