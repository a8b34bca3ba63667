# Built and run with podman 4.3 and docker 20.10, on a stand-in for the image it starts from:
#   docker build -t chargehand .
#   docker run -i --rm -v chargehand:/data -v "$PWD:/project:ro" -e ANTHROPIC_API_KEY chargehand
#   docker run --rm -p 127.0.0.1:8765:8765 -v chargehand:/data -e CHARGEHAND_HTTP_TOKEN -e ANTHROPIC_API_KEY \
#       chargehand serve --http --host 0.0.0.0 --allow-host localhost
# Answers are executed only if the container may make namespaces and mount /proc in them; `doctor` in it says so:
#   --security-opt seccomp=unconfined --security-opt systempaths=unconfined --security-opt apparmor=unconfined
# To write into the project, mount it without `:ro` and add --user "$(id -u):$(id -g)".
FROM python:3.13-slim

COPY . /src
RUN pip install --no-cache-dir /src && rm -rf /src \
    && useradd --uid 10001 --create-home chargehand \
    && mkdir --mode 1777 /data && mkdir /project

LABEL io.modelcontextprotocol.server.name="io.github.your-account/chargehand"
ENV CHARGEHAND_HOME=/data CHARGEHAND_ROOTS=/project
VOLUME /data
USER 10001
WORKDIR /home/chargehand

# Exec form: the server is process 1, gets SIGTERM itself, closes its books and ends with 0.
ENTRYPOINT ["chargehand"]
