create table people (id int primary key, title varchar(40));
