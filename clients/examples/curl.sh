#!/bin/sh
# A file and a video through mediagate, by curl:
#
#     sh clients/examples/curl.sh http://127.0.0.1:4000 "$(cat .mediagate/master_key)" README.md

set -eu
url=$1 key=$2 path=$3

# The key is in no list of processes, and what the API says of a failure is seen.
api() {
    printf 'header = "Authorization: Bearer %s"\n' "$key" | curl --config - --silent --show-error --fail-with-body "$@"
}
ask() {
    answer=$(api "$@") || {
        echo "$answer" >&2
        exit 1
    }
}
# The first string member of that name in the answer; jq would do it better.
member() {
    printf %s "$answer" | tr ',' '\n' | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}

ask "$url/v1/files" -F purpose=user_data -F "file=@$path"
file=$(member id)
echo "stored $file"
api "$url/v1/files/$file/content" -o "$path.copy"
cmp "$path" "$path.copy"
echo "read back the same bytes"
ask -X DELETE "$url/v1/files/$file"

ask "$url/v1/videos" -F model=local-video -F prompt='A paper boat on a river' -F seconds=2 -F size=320x180
video=$(member id)
# Its events as they happen; the stream ends with the video.
api -N "$url/v1/videos/$video/events" | sed -n 's/^event: *//p'
ask "$url/v1/videos/$video"
if [ "$(member status)" != completed ]; then
    echo "the video $(member status)" >&2
    exit 1
fi
api "$url/v1/videos/$video/content" -o video.mp4
echo "downloaded $(wc -c <video.mp4 | tr -d ' ') bytes to video.mp4"
ask -X DELETE "$url/v1/videos/$video"
