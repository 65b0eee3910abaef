select {% if reads %}json_object({{ reads }}){% else %}'{}'{% endif %} from {{ table }} where {{ cols_row }} = {{ tops }}
