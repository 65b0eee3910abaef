select {% if reads %}jsonb_build_object({{ reads }})::text{% else %}'{}'{% endif %} from {{ table }} where {{ is }}
