{{ copy }};
{%- for trigger in guards %}
drop trigger {{ trigger }};  -- every row is there now, and its key is taken
{%- endfor %}
