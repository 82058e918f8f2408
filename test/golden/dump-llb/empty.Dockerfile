FROM scratch
CMD ["/never"]
