#!/bin/sh
# The article's flow, from its description: start the new color, write its port to etcd, render the site with that port,
# reload nginx, sleep, stop the old color. Usage: article.sh NEW-PORT OLD-PORT SECONDS
set -eu
new=$1 old=$2 pause=$3

systemctl start "bench-peer@$new"
etcdctl put /bench-peer/port "$new" >/dev/null
cat >/etc/nginx/sites-enabled/bench-article.conf <<END
upstream bench_article {
    server 127.0.0.1:$(etcdctl get --print-value-only /bench-peer/port);
}
server {
    listen 8291;
    location / {
        proxy_pass http://bench_article;
    }
}
END
nginx -s reload
sleep "$pause"
systemctl stop "bench-peer@$old"
