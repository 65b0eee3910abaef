select {% if reads %}cast(json_object({{ reads }}) as char){% else %}'{}'{% endif %} from {{ table }} where {{ is }}
