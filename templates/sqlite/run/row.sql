select {% if reads %}json_object({{ reads }}){% else %}'{}'{% endif %} from {{ table }} where {{ is }}
