# Not built where Chargehand is developed: there is no container engine there. Build it, then try it:
#   docker build -t chargehand .
#   docker run -i --rm -v chargehand:/data -v "$PWD:/project:ro" -e ANTHROPIC_API_KEY chargehand
#   docker run --rm -p 127.0.0.1:8765:8765 -v chargehand:/data -e CHARGEHAND_HTTP_TOKEN -e ANTHROPIC_API_KEY \
#       chargehand serve --http --host 0.0.0.0 --allow-host localhost
# Answers are executed only where the container may make namespaces of its own; `doctor` in it says so.
FROM python:3.13-slim

# httpx2 trusts what the system trusts, and a slim image trusts nobody.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*

COPY . /src
RUN pip install --no-cache-dir /src && rm -rf /src \
    && useradd --uid 10001 --create-home chargehand \
    && mkdir /data && chown chargehand /data

LABEL io.modelcontextprotocol.server.name="io.github.your-account/chargehand"
ENV CHARGEHAND_HOME=/data CHARGEHAND_ROOTS=/project
VOLUME /data
USER 10001
WORKDIR /home/chargehand

# Exec form: the server is process 1, gets SIGTERM itself, closes its books and ends with 0.
ENTRYPOINT ["chargehand"]
