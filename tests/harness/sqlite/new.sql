create table people (id int primary key, title text);
