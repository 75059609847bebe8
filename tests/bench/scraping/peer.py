"""What a person writes with a peer: fetch pages of postings, read their JSON-LD, print how many.

`peer.py aiohttp | httpx | scrapy BASE COUNT`
"""

import asyncio
import json
import sys

AT_ONCE = 16


def read(body: bytes) -> dict:
    """Reads a page as ours does: its posting, the description as text."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(body)
    script = tree.css_first('script[type="application/ld+json"]')
    posting = json.loads(script.text())
    return {
        "title": posting["title"],
        "company": posting["hiringOrganization"]["name"],
        "place": posting["jobLocation"]["address"]["addressLocality"],
        "description": LexborHTMLParser(posting["description"]).body.text(separator=" "),
    }


async def gather(get, urls: list[str]) -> list[dict]:
    found, waiting = [], iter(urls)

    async def work():
        for url in waiting:
            found.append(read(await get(url)))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return found


async def by_aiohttp(urls: list[str]) -> list[dict]:
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def get(url):
            async with session.get(url) as answer:
                return await answer.read()

        return await gather(get, urls)


async def by_httpx(urls: list[str]) -> list[dict]:
    import httpx

    async with httpx.AsyncClient() as client:

        async def get(url):
            return (await client.get(url)).content

        return await gather(get, urls)


def by_scrapy(urls: list[str]) -> list[dict]:
    import scrapy
    from scrapy.crawler import CrawlerProcess

    found = []

    class Postings(scrapy.Spider):
        name = "postings"
        start_urls = urls

        def parse(self, response):
            posting = json.loads(response.css('script[type="application/ld+json"]::text').get())
            text = scrapy.Selector(text=posting["description"]).css("body *::text").getall()
            found.append({"title": posting["title"], "description": " ".join(text)})

    settings = {"LOG_LEVEL": "ERROR", "ROBOTSTXT_OBEY": True, "CONCURRENT_REQUESTS": AT_ONCE,
                "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE, "DOWNLOAD_DELAY": 0}  # fmt: skip
    process = CrawlerProcess(settings)
    process.crawl(Postings)
    process.start()
    return found


def main(peer: str, base: str, count: int):
    urls = [f"{base}/job/{n}" for n in range(count)]
    if peer == "scrapy":
        found = by_scrapy(urls)
    else:
        found = asyncio.run({"aiohttp": by_aiohttp, "httpx": by_httpx}[peer](urls))
    print(len(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
