delimiter //
create trigger if not exists {{ update_trigger }} before update on {{ table }} for each row
begin
{%- for variable in variables %}
  declare {{ variable }};
{%- endfor %}
{%- for lens in lenses %}
{%- if lens.update %}
  -- {{ lens.title }}
{%- for line in lens.update %}
  {{ line }}
{%- endfor %}
{%- endif %}
{%- endfor %}
{%- for fill in fills %}
  if {{ fill.is_null }} then
    {{ fill.set }}
  end if;
{%- endfor %}
end //
create trigger if not exists {{ insert_trigger }} before insert on {{ table }} for each row
begin
{%- for variable in variables %}
  declare {{ variable }};
{%- endfor %}
{%- if marker %}
  -- the database that the client has chosen says who writes; of another one, what it gives
  declare writer varchar(3) default case new.crossfade_writer
    when {{ namespace }} then 'new'
{%- for name in old_namespaces %}
    when {{ name }} then 'old'
{%- endfor %}
  end;
{%- endif %}
{%- for lens in lenses %}
  -- {{ lens.title }}
{%- if lens.insert_new %}
  if {{ lens.is_new }} then
{%- for line in lens.insert_new %}
    {{ line }}
{%- endfor %}
  else
{%- if lens.insert_old %}
{%- for line in lens.insert_old %}
    {{ line }}
{%- endfor %}
{%- else %}
    begin end;  -- the old version has written it itself
{%- endif %}
  end if;
{%- elif lens.insert_old %}
  if not ({{ lens.is_new }}) then
{%- for line in lens.insert_old %}
    {{ line }}
{%- endfor %}
  end if;
{%- endif %}
{%- endfor %}
{%- for fill in fills %}
  if {{ fill.is_null }} then
    {{ fill.set }}
  end if;
{%- endfor %}
{%- if marker %}
  set new.crossfade_writer = null;  -- it has said who wrote; NULL takes no room
{%- endif %}
end //
delimiter ;
