alter type {{ name }} add value if not exists {{ label }}{% if after %} after {{ after }}{% elif before %} before {{ before }}{% endif %};
