# Runs on each host (sh, root). Idempotent; prints one line per change; CHECK=1 only reads and prints what would change.
set -eu
umask 022
n=0
changed() { n=$((n + 1)); echo "changed: $*"; }

put() { # put PATH MODE [OWNER [GROUP]] <CONTENT : true (0) when it changed something
  path=$1 mode=$2 owner=${3:-root} group=${4:-root}
  new=$(cat; echo x); new=${new%x}
  if old=$(stat -c '%a %U %G' "$path" 2>/dev/null) && printf %s "$new" | cmp -s - "$path"; then
    [ "$old" = "$mode $owner $group" ] && return 1
    changed "$path ($old -> $mode $owner $group)"; [ $CHECK = 1 ] || { chown "$owner:$group" "$path"; chmod "$mode" "$path"; }
    return 0
  fi
  changed "$path"
  if [ $CHECK = 1 ]; then printf %s "$new" | diff -uN "$path" - || true; return 0; fi
  mkdir -p "${path%/*}"
  (umask 077; printf %s "$new" >"$path.new"); chown "$owner:$group" "$path.new"; chmod "$mode" "$path.new"
  if [ -n "${VALIDATE:-}" ] && ! why=$($VALIDATE "$path.new" 2>&1); then echo "$path: invalid: $why"; rm "$path.new"; exit 1; fi
  mv "$path.new" "$path"
}

packages() {
  have=" $(dpkg-query -W -f='${db:Status-Status} ${Package} ' "$@" 2>/dev/null | sed 's/not-installed [^ ]*//g' || true)"
  want=; for p; do case $have in *" installed $p "*) ;; *) want="$want $p" ;; esac; done
  [ -n "$want" ] || return 0
  changed "packages:$want"; [ $CHECK = 0 ] || return 0
  [ -n "$(find /var/lib/apt/lists -maxdepth 0 -mmin -1440)" ] || apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -o Dpkg::Options::=--force-confold $want >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
}

service() { # service UNIT reload|restart|no : enabled, running, and reloaded or restarted when asked
  set -- "$1" "$2" $(systemctl show --value -p UnitFileState -p ActiveState "$1" | sort -r) none none
  case " $3 $4 " in *" enabled "*) ;; *) changed "$1 enabled"; [ $CHECK = 1 ] || systemctl -q enable "$1" ;; esac
  case " $3 $4 " in
  *" active "*) [ "$2" = no ] || { changed "$1 ${2}ed"; [ $CHECK = 1 ] || systemctl "$2" "$1"; } ;;
  *) changed "$1 started"; [ $CHECK = 1 ] || systemctl start "$1" ;;
  esac
}

link() { [ "$(readlink "$2" 2>/dev/null)" = "$1" ] && return 1; changed "$2 -> $1"; [ $CHECK = 1 ] || ln -sfn "$1" "$2"; }

firewall() { # the rules of this role on stdin
  act=no
  VALIDATE="nft -c -f" put /etc/nftables.conf 755 <<EOF && act=reload
#!/usr/sbin/nft -f
# managed: local edits are overwritten
flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iif "lo" accept
		meta l4proto { 1, 58 } accept comment "icmp and icmpv6"
		tcp dport 22 accept
$(cat)
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
	chain output {
		type filter hook output priority filter; policy accept;
	}
}
EOF
  service nftables $act
}

lb() {
  packages nftables haproxy openssl
  firewall <<EOF
		tcp dport { 80, 443 } accept
EOF
  act=no crt=/etc/haproxy/certs/$DOMAIN.pem
  if [ ! -s $crt ]; then
    changed "$crt"; act=reload
    [ $CHECK = 1 ] || { mkdir -p -m 700 /etc/haproxy/certs; (umask 077; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
      -subj "/CN=$DOMAIN" -addext "subjectAltName=DNS:$DOMAIN" -keyout $crt.key -out $crt 2>/dev/null); }
  fi
  VALIDATE='haproxy -c -q -f' put /etc/haproxy/haproxy.cfg 644 <<EOF && act=reload
# managed: local edits are overwritten
global
	log /dev/log local0
	chroot /var/lib/haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
	user haproxy
	group haproxy
	daemon
	ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
	log global
	mode http
	option httplog
	option dontlognull
	timeout connect 5s
	timeout client 50s
	timeout server 50s

frontend web
	bind :80
	bind :443 ssl crt $crt alpn h2,http/1.1
	http-request redirect scheme https code 301 unless { ssl_fc }
	http-request set-header X-Forwarded-Proto https
	default_backend web

backend web
	balance $BALANCE
	option forwardfor
	option httpchk GET /healthz
	http-check expect status 200
	server web-01 $PRIMARY_IP:80 check inter 2s
	server web-02 $REPLICA_IP:80 check inter 2s
EOF
  service haproxy $act
}

web() {
  act=no restart=no
  id -u foobar >/dev/null 2>&1 || { changed "user foobar"; [ $CHECK = 1 ] || useradd --system --no-create-home --home-dir /srv/foobar --shell /usr/sbin/nologin foobar; }
  app_py | put /srv/foobar/app.py 644 && restart=restart
  style_css | put /srv/foobar/static/style.css 644 || true
  put /etc/foobar.env 600 <<EOF && restart=restart
DB_NAME=$DB_NAME
DB_USER=$DB_USER
DB_PASSWORD=$DB_PASSWORD
DB_READ_SOCKET=/run/mysqld/mysqld.sock
DB_WRITE_HOST=$PRIMARY_IP
EOF
  app_unit | put /etc/systemd/system/foobar.service 644 && { restart=restart; [ $CHECK = 1 ] || systemctl daemon-reload; }
  service foobar $restart
  put /etc/nginx/sites-available/foobar 644 <<EOF && act=reload
# managed: local edits are overwritten
server {
	listen 80 default_server;
	server_name $DOMAIN;
	root /srv/foobar;
	add_header X-Served-By $(hostname) always;

	location /static/ {
		expires 5m;
	}

	location / {
		proxy_pass http://127.0.0.1:8000;
		proxy_set_header Host \$host;
		proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
	}
}
EOF
  link /etc/nginx/sites-available/foobar /etc/nginx/sites-enabled/foobar && act=reload
  [ ! -e /etc/nginx/sites-enabled/default ] || { changed "default site removed"; act=reload; [ $CHECK = 1 ] || rm /etc/nginx/sites-enabled/default; }
  service nginx $act
}

mariadb_server() { # mariadb_server IP READ_ONLY
  act=no
  put /etc/mysql/mariadb.conf.d/60-foobar.cnf 644 <<EOF && act=restart
# managed: local edits are overwritten
[mariadbd]
bind-address = $1
server_id = ${1##*.}
log_bin = mysql-bin
log_slave_updates = ON
gtid_strict_mode = ON
read_only = $2
EOF
  service mariadb $act
}

schema() { # the database, its table and three accounts on the primary: one query reads all of it, one batch writes it
  have=$(mariadb -NB --force 2>/dev/null <<EOF || true
SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='$DB_NAME';
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='$DB_NAME';
SELECT CONCAT('HASH ',PASSWORD('$DB_PASSWORD'),' ',PASSWORD('$REPL_PASSWORD'));
SHOW GRANTS FOR '$DB_USER'@'localhost'; SHOW GRANTS FOR '$DB_USER'@'%'; SHOW GRANTS FOR '$REPL_USER'@'$REPLICA_IP';
EOF
)
  h=${have#*HASH }; app=${h%% *} h=${h#* }; repl=${h%%
*}
  want="$DB_NAME
visits
HASH $app $repl
GRANT USAGE ON *.* TO \`$DB_USER\`@\`localhost\` IDENTIFIED BY PASSWORD '$app'
GRANT SELECT ON \`$DB_NAME\`.* TO \`$DB_USER\`@\`localhost\`
GRANT USAGE ON *.* TO \`$DB_USER\`@\`%\` IDENTIFIED BY PASSWORD '$app'
GRANT SELECT, INSERT ON \`$DB_NAME\`.* TO \`$DB_USER\`@\`%\`
GRANT REPLICATION SLAVE ON *.* TO \`$REPL_USER\`@\`$REPLICA_IP\` IDENTIFIED BY PASSWORD '$repl'"
  [ "$have" != "$want" ] || return 0
  changed "database $DB_NAME, its table and accounts"; [ $CHECK = 0 ] || return 0
  mariadb <<EOF
CREATE DATABASE IF NOT EXISTS $DB_NAME; USE $DB_NAME;
$(schema_sql)
CREATE OR REPLACE USER '$DB_USER'@'localhost' IDENTIFIED BY '$DB_PASSWORD'; GRANT SELECT ON $DB_NAME.* TO '$DB_USER'@'localhost';
CREATE OR REPLACE USER '$DB_USER'@'%' IDENTIFIED BY '$DB_PASSWORD'; GRANT SELECT, INSERT ON $DB_NAME.* TO '$DB_USER'@'%';
CREATE OR REPLACE USER '$REPL_USER'@'$REPLICA_IP' IDENTIFIED BY '$REPL_PASSWORD'; GRANT REPLICATION SLAVE ON *.* TO '$REPL_USER'@'$REPLICA_IP';
EOF
}

replication() {
  have=$(mariadb -Ee 'SHOW SLAVE STATUS' 2>/dev/null | sed -n 's/^ *\(Master_Host\|Master_User\|Using_Gtid\|Slave_IO_Running\|Slave_SQL_Running\): //p' | tr '\n' ' ')
  [ "$have" != "$PRIMARY_IP $REPL_USER Yes Yes Slave_Pos " ] || return 0
  changed "replication ($have)"; [ $CHECK = 0 ] || return 0
  for t in $(seq 1 240); do # the primary is being built at the same time: wait for its account
    MYSQL_PWD=$REPL_PASSWORD mariadb -h $PRIMARY_IP -u $REPL_USER --connect-timeout=2 -e 'SELECT 1' >/dev/null 2>&1 && break; sleep .25
  done
  mariadb -e "STOP SLAVE; CHANGE MASTER TO MASTER_HOST='$PRIMARY_IP', MASTER_USER='$REPL_USER', MASTER_PASSWORD='$REPL_PASSWORD', MASTER_USE_GTID=slave_pos; START SLAVE"
}

main() { # main ROLE IP
  case $1 in
  lb) lb ;;
  web) packages nginx python3-pymysql; web ;;
  *)
    packages nftables mariadb-server nginx python3-pymysql
    firewall <<EOF
		ip saddr $LB_IP tcp dport 80 accept
		ip saddr { $PRIMARY_IP, $REPLICA_IP } tcp dport 3306 accept
EOF
    if [ $1 = primary ]; then mariadb_server $2 OFF; schema; else mariadb_server $2 ON; replication; fi
    web ;;
  esac
  echo "$n changed"
}
